"""The check of names and conditions in tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks import variables


def check(root: Path, text: str, name: str = "playbooks/x.yml") -> list[str]:
    (root / "roles/demo/tasks").mkdir(parents=True, exist_ok=True)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return variables.complaints(root)


@pytest.mark.parametrize(
    "condition",
    ["demo_flag", "not demo_flag", "x is defined and demo_flag", "demo_list[0]", "demo_a | bool or (demo_b)"],
)
def test_awx_01_a_bare_condition_is_a_complaint(tmp_path: Path, condition: str) -> None:
    found = check(tmp_path, f"- ansible.builtin.meta: noop\n  when: {condition}\n", "roles/demo/tasks/main.yml")
    assert len(found) == 1
    assert condition in found[0]


@pytest.mark.parametrize(
    "condition",
    ["demo_flag | bool", "not ansible_check_mode", "__demo_made.changed", "demo_a == 'x'", "demo_a | length > 0"],
)
def test_awx_01_a_condition_that_says_what_it_compares_is_silent(tmp_path: Path, condition: str) -> None:
    text = f'- ansible.builtin.meta: noop\n  when: "{condition}"\n'
    assert check(tmp_path, text, "roles/demo/tasks/main.yml") == []


def test_awx_01_conditions_inside_blocks_and_lists_are_read(tmp_path: Path) -> None:
    text = "- block:\n    - ansible.builtin.assert:\n        that: [a | bool, b]\n"
    assert len(check(tmp_path, text, "roles/demo/tasks/main.yml")) == 1


@pytest.mark.parametrize(
    "task",
    [
        "ansible.builtin.set_fact: {kraf_apps: [a]}",
        "ansible.builtin.set_fact: {demo_port: 1}",
        "register: demo_result",
        "vars: {kraf_to: edge}",
    ],
)
def test_awx_03_an_input_is_never_assigned(tmp_path: Path, task: str) -> None:
    assert len(check(tmp_path, f"- {task}\n", "roles/demo/tasks/main.yml")) == 1


def test_awx_03_internals_and_variables_of_a_role_may_be_set(tmp_path: Path) -> None:
    text = (
        '- ansible.builtin.set_fact: {__x: 1, cacheable: true}\n  register: __y\n  vars: {demo_port: "{{ kraf_p }}"}\n'
    )
    assert check(tmp_path, text) == []


def test_an_input_of_a_playbook_without_prefix_is_named(tmp_path: Path) -> None:
    found = check(tmp_path, '- hosts: "{{ kraf_device }}"\n  tasks:\n    - when: target == "x"\n')
    assert found == ["playbooks/x.yml: reads the variable target: an input of a playbook must start with kraf_"]


def test_loop_variables_and_what_a_template_sets_are_no_inputs(tmp_path: Path) -> None:
    text = (
        '- ansible.builtin.debug: {msg: "{% set a = 1 %}{{ a }}{{ app }}{{ groups }}"}\n'
        '  loop: "{{ kraf_apps }}"\n  loop_control: {loop_var: app}\n'
    )
    assert check(tmp_path, text) == []
