"""The line of a password file."""

from __future__ import annotations

import sys

import bcrypt
import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kraf.edge.plugins.filter.htpasswd import htpasswd


def test_line_holds_the_user_and_a_hash_that_the_password_opens() -> None:
    user, _unused, hashed = htpasswd("s3cret", "kraf", rounds=4).partition(":")
    assert (user, hashed[:7]) == ("kraf", "$2b$04$")
    assert bcrypt.checkpw(b"s3cret", hashed.encode())
    assert not bcrypt.checkpw(b"secret", hashed.encode())


@pytest.mark.parametrize(
    ("password", "user"), [("", "kraf"), ("x" * 73, "kraf"), ("x", ""), ("x", "a:b"), ("x", "a\nb")]
)
def test_what_cannot_be_a_line_is_refused_without_the_password(password: str, user: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        htpasswd(password, user)
    assert "x" * 73 not in str(caught.value)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    with pytest.raises(AnsibleFilterError, match="pip install bcrypt"):
        htpasswd("s3cret", "kraf")
