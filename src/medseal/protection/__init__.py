"""Protection: encryption, watermarks and tamper evidence; import the subpackage you need."""

__all__: list[str] = []
