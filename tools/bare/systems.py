"""The systems: minimal Debian of three ages, built once; each run gets a clean copy by an overlay."""

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tools import debian, progress
from tools.bare import host

FOLDER = Path(__file__).parents[2] / ".bare"
CHECKOUT = Path("root/asgi_sessions")
OLD_AFTER_DAYS = 7


@dataclass(frozen=True, slots=True)
class System:
    """A release of Debian.

    Attributes:
        codename: As mirrors have it.
        title: As people say it.
    """

    codename: str
    title: str

    @property
    def tree(self) -> Path:
        """Its files as debootstrap leaves them."""
        return FOLDER / "trees" / self.codename

    @property
    def packages(self) -> Path:
        """Packages that earlier runs have fetched."""
        return FOLDER / "packages" / self.codename

    def log(self, step: str) -> Path:
        return FOLDER / "logs" / f"{self.codename}-{step}.log"

    @property
    def is_built(self) -> bool:
        made = self.tree / "etc/debian_version"
        return made.exists() and time.time() - self.tree.stat().st_mtime < OLD_AFTER_DAYS * 86_400

    def build(self) -> None:
        """Make the tree: what debootstrap calls minimal, Python and make.

        Raises:
            CommandFailed: debootstrap did, or it could not be installed.
        """
        if shutil.which("debootstrap") is None:
            debian.update()
            debian.install(["debootstrap"])
        unfinished = self.tree.with_suffix(".unfinished")
        for folder in (self.tree, unfinished):
            shutil.rmtree(folder, ignore_errors=True)
        self.tree.parent.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", "--include=python3,make", self.codename, str(unfinished)]
        self.log("build").parent.mkdir(parents=True, exist_ok=True)
        self.log("build").write_text(progress.run(f"{self.title}: building", [*command, host.mirrors().main]))
        (unfinished / "etc/apt/sources.list").write_text(host.mirrors().sources(self.codename))
        (unfinished / "etc/apt/apt.conf.d/90mirrors").write_text(host.apt_settings())
        shutil.rmtree(unfinished / "var/cache/apt/archives")
        (unfinished / "var/cache/apt/archives").mkdir()
        unfinished.rename(self.tree)
        self.tree.touch()


SYSTEMS = (System("bookworm", "Debian 12"), System("trixie", "Debian 13"), System("sid", "Debian unstable"))


class Copy:
    """A clean copy of a system, with the checkout in it; what it changes is in a layer of its own.

    Args:
        system: Of which.
        step: What for: a name of the layer.
    """

    def __init__(self, system: System, step: str) -> None:
        self.system = system
        self._folder = FOLDER / "copies" / f"{system.codename}-{step}"

    @property
    def layer(self) -> Path:
        """What is different from the system's tree."""
        return self._folder / "layer"

    def make(self) -> None:
        """Make it anew."""
        self.delete()
        for name in ("layer", "work", "root"):
            (self._folder / name).mkdir(parents=True)
        for path in (Path("/etc/resolv.conf"), Path("/etc/hosts"), *host.pip_files()):
            self._take(path)
        for path in host.pip_paths():
            if path.is_file():
                self._take(path)
        if host.CERTIFICATES.is_dir():
            shutil.copytree(host.CERTIFICATES, self.layer / host.CERTIFICATES.relative_to("/"))
        copy_checkout(self.layer / CHECKOUT)

    def delete(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def command(self, words: list[str]) -> list[str]:
        """A command line that runs these words in the copy's checkout; its end is the end of all that they start."""
        for folder in (self.system.packages / "partial", FOLDER / "pip"):
            folder.mkdir(parents=True, exist_ok=True)
        inside = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        environment = [f"{name}={value}" for name, value in (inside | host.variables()).items()]
        # Whoever ends this process, or the one that has started it, ends all.
        namespaces = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ]
        # The shell stays: as the first process it takes in orphans, and forgets them once they have ended.
        inner = ["env", "-i", *environment, "sh", "-c", f'cd /{CHECKOUT}; "$@"; exit $?', "sh", *words]
        return [*namespaces, "sh", "-ec", f'{self._mounts()}\nexec chroot {self._folder}/root "$@"', "sh", *inner]

    def _take(self, path: Path) -> None:
        target = self.layer / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)

    def _mounts(self) -> str:
        """In a namespace of its own, so that there is nothing to undo."""
        root = self._folder / "root"
        layers = f"lowerdir={self.system.tree},upperdir={self.layer},workdir={self._folder}/work"
        shared = {path: path for path in host.pip_paths() if path.is_dir()}
        shared |= {self.system.packages: Path("/var/cache/apt/archives"), FOLDER / "pip": Path("/root/.cache/pip")}
        lines = [
            f"mount -t overlay overlay -o {layers} {root}",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /sys {root}/sys",
            f"mount --rbind /dev {root}/dev",
            f"mount -t tmpfs tmpfs {root}/dev/shm",
        ]
        for outside, inside in shared.items():
            lines += [f"mkdir -p {root}{inside}", f"mount --bind {outside} {root}{inside}"]
        return "\n".join(lines)


def copy_checkout(target: Path) -> None:
    """Copy the project as it is now: what git has or would add; all that is no cache where there is no git."""
    project = FOLDER.parent
    if not (project / ".git").exists():
        ignored = shutil.ignore_patterns(
            FOLDER.name, ".engines", ".oidc-provider", ".venv", ".*_cache", "__pycache__", ".environments"
        )
        shutil.copytree(project, target, ignore=ignored)
        return
    command = ["git", "-C", str(project), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (project / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, target / name)
