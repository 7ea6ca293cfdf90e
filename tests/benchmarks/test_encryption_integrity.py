from benchmarks.encryption_integrity import cipher_images, downgrades


def test_no_other_value_at_the_start_of_a_package_is_accepted() -> None:
    found = downgrades()
    assert found["tried"] == 32 * 255
    assert found["accepted"] == 0
    assert found["refused_with_a_typed_error"] == found["tried"]


def test_a_flipped_bit_never_gives_another_image_where_the_form_has_a_tag() -> None:
    found = cipher_images(quick=True)
    for name, parts in found.items():
        assert set(parts["header"]) == {"refused"}, name
        if name != "analog":
            assert "another image" not in parts["pixels"], name
