"""A store in a folder: local disks, NFS, Lustre.

Create-if-absent is `link(2)` of a finished temporary file: measured, it is exclusive on every file system
at hand and no reader ever saw half of an object. Where there are no hard links, it is `O_EXCL`; a reader
may then see a part of the object, which is why every document must prove itself whole (JSON that ends).
"""

import builtins
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from nemotron.kit.errors import OutsideRootError, PathNotFoundError, RefusedError
from nemotron.kit.store import files, folders
from nemotron.kit.store.protocol import Found, Mark, Staging, Store, check_key
from nemotron.kit.store.system_errors import translate, translating
from nemotron.kit.store.unsynced import Unsynced

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES})
_TEMPORARY = ".tmp-"
T = TypeVar("T")


class LocalStore(Store):
    """Objects as files under a root folder, which is made by the first write.

    Args:
        root: the folder; `~` is expanded.

    Raises:
        RefusedError: the root is a file.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(os.path.expanduser(os.fspath(root)))
        self.url = self.root
        self._prefix = self.root.rstrip("/") + "/"
        self._durable_folders: set[str] = set()
        self._usable_folders: set[str] = set()
        self._unsynced = Unsynced(self.root)
        if os.path.exists(self.root) and not os.path.isdir(self.root):
            raise RefusedError(f"The root {self.root} is a file; a root must be a folder")

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalStore, (self.root,)

    # -- reading -------------------------------------------------------------------------------------------

    def read(self, key: str) -> bytes | None:
        """All bytes of an object, or None."""
        try:
            file = self.open(key)
        except PathNotFoundError:
            return None
        with file:
            try:
                return file.read()
            except OSError as error:
                raise translate(error, "read", self._path(key)) from error

    def exists(self, key: str) -> bool:
        """Whether there is such an object. Links are followed here: reading it is what refuses them."""
        path = self._path(key)
        try:
            return stat.S_ISREG(os.stat(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:  # not to be looked at is not the same as not there
            raise translate(error, "look at", path) from error

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        path = self._safe_path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise translate(error, "read", path) from error
        try:
            return os.fdopen(descriptor, "rb")
        except OSError as error:
            os.close(descriptor)
            raise translate(error, "read", path) from error

    def list(self, prefix: str = "") -> list[str]:
        """Names right under a prefix, without the kit's own temporary files."""
        path = self._path(prefix) if prefix else self.root
        try:
            if prefix:
                self._refuse_links(prefix + "/x")
            return [name for name in os.listdir(path) if not name.startswith(_TEMPORARY)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise translate(error, "list", path) from error

    def local_path(self, key: str) -> Path:
        """The file or folder behind a key."""
        return Path(self._safe_path(key))

    def _path(self, key: str) -> str:
        return self._prefix + (key if self._is_usable(key) else check_key(key))

    def _safe_path(self, key: str) -> str:
        path = self._path(key)
        self._refuse_links(key)
        return path

    def _is_usable(self, key: str) -> bool:
        """Whether a key is plain, and its folder was looked at: there are many files and few folders."""
        above, _, name = key.rpartition("/")
        return above in self._usable_folders and name.isalnum()

    def _refuse_links(self, key: str) -> None:
        """No folder on the way from the root to an object may be a link: it could lead anywhere."""
        end = key.find("/")
        while end != -1:
            folder = self._prefix + key[:end]
            try:
                mode = os.lstat(folder).st_mode
            except OSError:
                return  # it is not there, or can't be looked at: the call that follows says which
            if stat.S_ISLNK(mode):
                raise OutsideRootError(
                    f"Refused to follow the link {folder}: folders of a store are no links"
                )
            end = key.find("/", end + 1)

    # -- writing -------------------------------------------------------------------------------------------

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create an object if it is absent; see the module for how."""
        path = self._safe_path(key)
        try:
            return self._anew(lambda: self._create(path, data, durable))
        except OSError as error:
            raise translate(error, "write", path) from error

    def _anew(self, work: Callable[[], T]) -> T:
        """Do something; again if a folder that this process made is gone: somebody cleared the root."""
        try:
            return work()
        except FileNotFoundError:
            self._durable_folders.clear()
            self._usable_folders.clear()
            return work()

    def _create(self, path: str, data: bytes, durable: bool) -> bool:
        folder = os.path.dirname(path)
        relied_on = self._make_folder(folder, durable)
        temporary = self._temporary(folder, data, durable)
        try:
            # Behind the file, whose sync took what lies above it along where there is a journal: then these
            # find nothing left to do.
            self._sync_folders(relied_on)
            created = self._claim(temporary, path, data, durable)
        finally:
            files.unlink(temporary)
        if created and durable:
            files.sync_path(folder)
        return created

    def replace(self, key: str, data: bytes) -> None:
        """Write a hint by rename."""
        path = self._safe_path(key)
        folder = os.path.dirname(path)
        try:
            self._anew(lambda: self._make_folder(folder, durable=False))
            temporary = self._temporary(folder, data, durable=False)
            try:
                os.replace(temporary, path)
            except OSError:
                files.unlink(temporary)
                raise
        except OSError as error:
            raise translate(error, "write", path) from error

    def remove(self, key: str) -> None:
        """Take an object away."""
        path = self._safe_path(key)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise translate(error, "remove", path) from error

    def walk(self, prefix: str = "") -> Iterator[Found]:
        """All files below a prefix; links are left out."""
        path = self._path(prefix) if prefix else self.root
        if prefix:
            self._refuse_links(prefix + "/x")
        with translating("list", path):
            yield from folders.walk(path, f"{prefix}/" if prefix else "")

    def move(self, source: str, target: str) -> bool:
        """Rename a file: it shares its folder's file system with the root, and no byte is copied."""
        old, path = self._path(source), self._path(target)
        self._refuse_links(source)
        self._refuse_links(target)
        with translating("move", old):
            self._anew(lambda: self._make_folder(os.path.dirname(path), durable=False))
            try:
                os.rename(old, path)
            except FileNotFoundError:
                return False
        return True

    def prune(self, prefix: str) -> None:
        """Take away the empty folders below a prefix, and itself."""
        path = self._path(prefix)
        self._refuse_links(prefix + "/x")
        with translating("remove", path):
            folders.prune(path)

    def stage(self) -> Staging:
        """Begin content, in a temporary file of the store's own folder."""
        from nemotron.kit.store.local_staging import LocalStaging  # who only reads needs none

        folder = self._path(".kit/staging")
        path = f"{folder}/{_TEMPORARY}{os.urandom(8).hex()}"
        try:
            self._refuse_links(".kit/staging/x")
            self._anew(lambda: self._make_folder(folder, durable=False))
            return LocalStaging(path, self._take)
        except OSError as error:
            raise translate(error, "write", folder) from error

    def _take(self, temporary: str, key: str) -> bool:
        """Give a finished file the name of a key; False if that is there."""
        path = self._path(key)
        self._refuse_links(key)
        folder = os.path.dirname(path)
        try:
            self._anew(lambda: self._make_folder(folder, durable=False))
            created = _link(temporary, path)
            self._unsynced.add(path)
        except OSError as error:
            raise translate(error, "write", path) from error
        return created

    def rely_on(self, key: str) -> None:
        """Sync it too."""
        self._unsynced.add(self._path(key))

    def rely_on_all(self, keys: Iterable[str]) -> None:
        """Sync them too."""
        self._unsynced.add_all(map(self._path, keys))

    def put(self, key: str, data: bytes) -> bool:
        """Store small content under the key of its digest, without a temporary name."""
        path = self._path(key)
        try:
            # Each folder is looked at once between two syncs.
            created = files.create_whole(path, data) if self._is_usable(key) else None
            if created is None:
                created = self._anew(lambda: self._put(key, path, data))
        except OSError as error:
            raise translate(error, "write", path) from error
        if created is None:
            return super().put(key, data)
        self._unsynced.add(path)
        return created

    def _put(self, key: str, path: str, data: bytes) -> bool | None:
        folder = os.path.dirname(path)
        self._refuse_links(key)
        self._make_folder(folder, durable=False)
        created = files.create_whole(path, data)
        if created is not None:
            self._usable_folders.add(key.rpartition("/")[0])
        elif not os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        return created

    def sync(self) -> None:
        """Make durable what was staged: a few files one by one, many by one `syncfs`."""
        self.sync_since(None)

    def mark(self) -> Mark:
        """How many files are to be synced so far."""
        return self._unsynced.mark()

    def sync_since(self, mark: int | None) -> None:
        """Make durable what was staged or relied on since a mark."""
        self._usable_folders.clear()
        with translating("sync", self.root):
            self._unsynced.sync(mark)

    def doubtful_until(self) -> int:
        """What was written until then may have been lost in a sync that failed."""
        return self._unless_void(self._unsynced.doubtful_until())

    def _claim(self, temporary: str, path: str, data: bytes, durable: bool) -> bool:
        try:
            os.link(temporary, path)
            return True
        except OSError as error:
            # NFS may have done it and lost the reply, and answer "exists" when it is asked again: the second
            # name of our file tells.
            if os.stat(temporary).st_nlink == 2:
                return True
            if error.errno == errno.EEXIST:
                return False
            if error.errno not in _NO_LINKS:
                raise
        return files.create_exclusive(path, data, durable)

    def _temporary(self, folder: str, data: bytes, durable: bool) -> str:
        path = f"{folder}/{_TEMPORARY}{os.urandom(8).hex()}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            files.write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        except OSError:
            files.unlink(path)
            raise
        finally:
            os.close(descriptor)
        return path

    def _make_folder(self, folder: str, durable: bool) -> builtins.list[str]:
        """Make a folder and those above it.

        Whether another process that made one has synced it can't be seen, so each is synced once by every
        process that relies on it.

        Returns:
            If durable, the folders whose own entries have to be synced before anything in them is relied on.
        """
        if (durable and folder in self._durable_folders) or (not durable and os.path.isdir(folder)):
            return []
        above, relied_on = os.path.dirname(folder), []
        if folder != self.root and folder != above:
            relied_on = self._make_folder(above, durable)
        elif folder == self.root:
            os.makedirs(above, exist_ok=True)
        folders.make(folder)
        return [*relied_on, folder] if durable else []

    def _sync_folders(self, relied_on: builtins.list[str]) -> None:
        """See that the entries of folders survive a power loss."""
        for folder in relied_on:
            files.sync_path(os.path.dirname(folder))
            if not folders.is_version(folder):
                self._durable_folders.add(folder)


def _link(source: str, target: str) -> bool:
    """Give a file a second name, or another one where it can't have two; False if that is there."""
    try:
        os.link(source, target)
        return True
    except OSError as error:
        if os.stat(source).st_nlink == 2:
            return True
        if error.errno == errno.EEXIST:
            return False
        if error.errno not in _NO_LINKS:
            raise
    # Without links a rename is as good here: the key is the content's digest, so whoever wins is right.
    if os.path.lexists(target):
        return False
    os.replace(source, target)
    return True
