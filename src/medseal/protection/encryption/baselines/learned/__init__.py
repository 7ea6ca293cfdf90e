"""The paper's kind of cipher: two networks trained together, their weights the key; to be measured.

A known-bad baseline: no nonce, no exact restoration, nothing proven. No security claim rests on a
learned method: confidentiality and integrity come from the sealed package.
"""
