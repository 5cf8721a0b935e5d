# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of EnvironmentFile=: what systemd 252 made of each of these texts when it was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import env_file


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=a\na=b\na=b\nb=c\n", {"a": "b", "b": "c"}),
        ("a=a\\\n", {"a": "a"}),
        ("# comment \\\\\n # b\na=1\n", {"a": "1"}),
        ("a='x y' \n", {"a": "x y"}),
        ('a="x \\" \\$ y"', {"a": 'x " $ y'}),
        ('a="x \\n y"', {"a": "x \\n y"}),
        ("a='x \\' \n", {"a": "x \\"}),
        ("  a =  b c  \n", {"a": "b c"}),
        ("; no=1\n# no=2\na=1", {"a": "1"}),
        ("# goes on \\\nstill=a comment\na=1", {"a": "1"}),
        ("a=one\\\ntwo\n", {"a": "onetwo"}),
        ('a="one\ntwo"\n', {"a": "one\ntwo"}),
        ("a=x#y ; z\n", {"a": "x#y ; z"}),
        ("a='1'\"2\"3\n", {"a": "123"}),
        ("1a=1\na-b=2\nexport c=3\nnothing\nd=4\n", {"d": "4"}),
        ("a=\nb=''\n", {"a": "", "b": ""}),
        ("a=$B\r\n", {"a": "$B"}),
        ("a=it\\'s\n", {"a": "it's"}),
        ("a=it's\n", {"a": "it's"}),
        ('a=x "y"\n', {"a": 'x "y"'}),
        ("a='it'\\''s'\n", {"a": "it''s'"}),
        ('b=1" \t\\ \nc=1\n', {"b": '1" \t ', "c": "1"}),
        ("=x\ra=1\rb=2", {"a": "1", "b": "2"}),
        ("a='\rb\n", {"a": "\rb\n"}),
        ("", {}),
    ],
)
def test_values_are_read_as_systemd_does(text: str, found: dict[str, str]) -> None:
    assert env_file.parse(text) == found


def test_a_pattern_names_several_files_and_the_last_counts(tmp_path: Path) -> None:
    (tmp_path / "1.env").write_text("a=1\nb=1\n")
    (tmp_path / "2.env").write_text("b=2\n")
    assert env_file.read(f"{tmp_path}/*.env") == {"a": "1", "b": "2"}
    with pytest.raises(FileNotFoundError):
        env_file.read(f"{tmp_path}/*.none")
    with pytest.raises(FileNotFoundError):
        env_file.read(f"{tmp_path}/none")
