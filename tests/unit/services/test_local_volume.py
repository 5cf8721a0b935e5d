"""The arithmetic and the refusals of local volumes, and real filesystems in files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import local_volume as local
from ansible_collections.kraf.edge.plugins.module_utils.on_device.local_volume import MIB, LocalVolume
from ansible_collections.kraf.edge.plugins.modules import local_volume as module


@pytest.fixture
def volume(tmp_path: Path) -> LocalVolume:
    return LocalVolume("kraf-pi1-photos", tmp_path)


def sparse(volume: LocalVolume, size: int, head: bytes = b"XFSB") -> None:
    volume.image.write_bytes(head)
    os.truncate(volume.image, size)


@pytest.mark.parametrize("name", ["", "..", "a/b", "Photos", "-a", "a" * 129])
def test_name_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(KrafError, match="PersistentVolume"):
        LocalVolume(name, tmp_path).checked()


@pytest.mark.parametrize("filesystem", ["xfs", "ext4"])
def test_file_is_larger_than_the_volume_and_grows_with_it(filesystem: str) -> None:
    sizes = [local.wanted_file(size * MIB, filesystem) for size in (16, 256, 257, 1024)]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] > 1024 * MIB


@pytest.mark.parametrize("check", [True, False])
def test_vol_11_shrinking_is_refused_with_numbers_and_writes_nothing(volume: LocalVolume, check: bool) -> None:
    sparse(volume, local.wanted_file(2048 * MIB, "xfs"))
    before = volume.image.stat()
    with pytest.raises(KrafError, match=r"2 GiB.*1 GiB"):
        module.present(volume, 1024 * MIB, overcommit=True, check=check)
    assert volume.image.stat() == before


def test_more_than_the_disk_has_is_refused_with_numbers(volume: LocalVolume) -> None:
    with pytest.raises(KrafError, match=r"1 PiB.*free"):
        module.present(volume, 2**50, overcommit=False, check=True)


def test_file_that_is_no_volume_is_left_alone(volume: LocalVolume) -> None:
    sparse(volume, 1024 * MIB, b"PK")
    with pytest.raises(KrafError, match="neither XFS nor ext4"):
        module.present(volume, 2048 * MIB, overcommit=True, check=False)


def test_removal_wants_the_name(volume: LocalVolume) -> None:
    sparse(volume, 1024 * MIB)
    with pytest.raises(KrafError, match="Set confirm to kraf-pi1-photos"):
        module.absent(volume, "", check=False)
    assert volume.image.exists()


@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="needs e2fsprogs")
def test_what_a_killed_run_left_is_replaced(volume: LocalVolume) -> None:
    (volume.root / f"{volume.name}.new").write_bytes(b"half")
    local.create(volume, 16 * MIB)
    assert local.filesystem_of(volume.image) == "ext4"
    assert [path.name for path in volume.root.iterdir()] == ["kraf-pi1-photos.img"]
