"""Which stages changed, as DVC finds it, with what many stages share looked at once.

`Stage.changed` of DVC parses params.yaml anew for every stage, searches it once for every
parameter, and hashes an output again for each stage that reads it, under four locks: at 500 stages
with nothing to do this is nearly all of its time. Here parameters are parsed once while their file
stays as it is, and an output's state is kept until a command writes there. What is compared with
what is DVC's.
"""

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvc.dependency.param import ParamsDependency
    from dvc.output import Output
    from dvc.stage import Stage

GLOBS = frozenset("*?[")  # which DVC's search for a parameter would follow
Stamp = tuple[int, int, int]


class Changes:
    """What is known of a repository's files, for one run in one process."""

    def __init__(
        self, stages: Iterable["Stage"], holds: Callable[[str], bool] = lambda _: False
    ) -> None:
        """``stages`` are those of the run: only what they write is remembered, for others may be
        edited by anybody at any time.

        ``holds`` says of one that DVC always runs, by its name, that its outputs are what it would
        write, for which it need not be run.
        """
        self._holds, self._held = holds, dict[str, bool]()
        self._written = {str(out.fs_path) for stage in stages for out in stage.outs}
        self._known: dict[tuple[str, str, bool, bool], bool] = {}
        self._parameters: dict[str, tuple[Stamp, Any]] = {}

    def of(self, stage: "Stage") -> bool:
        """Whether a stage has to be run."""
        from dvc.dependency.param import ParamsDependency

        if stage.changed_stage():
            return True
        if not stage.frozen:
            if stage.is_callback or (stage.always_changed and not self._is_held(stage)):
                return True
            for dep in stage.deps:
                is_own = type(dep) is ParamsDependency
                if self._differs(dep) if is_own else self._is_changed(dep):
                    return True
        return any(self._is_changed(out) for out in stage.outs)

    def forget(self, stage: "Stage") -> None:
        """A stage's command writes its outputs: what is known of them, of files inside and of
        folders above, holds no more."""
        self._held.pop(stage.addressing, None)
        for out in stage.outs:
            path = PurePosixPath(out.fs_path)
            near = [
                key
                for key in self._known
                if path.is_relative_to(key[0]) or PurePosixPath(key[0]).is_relative_to(path)
            ]
            for key in near:
                del self._known[key]

    def _is_held(self, stage: "Stage") -> bool:
        """Of a stage that is always run; asked once, for it may take a network."""
        name = stage.addressing
        if name not in self._held:
            self._held[name] = self._holds(name)
        return self._held[name]

    def _is_changed(self, one: "Output") -> bool:
        """Of a dependency that is no parameter, or of an output."""
        if str(one.fs_path) not in self._written:
            return bool(one.status())
        key = (str(one.fs_path), str(one.hash_info), bool(one.use_cache), bool(one.files))
        if key not in self._known:
            self._known[key] = bool(one.status())
        return self._known[key]

    def _differs(self, dep: "ParamsDependency") -> bool:
        """Whether parameters have other values; what is not simply found is left to DVC."""
        info = dep.hash_info
        locked = info.value if info else None
        if not dep.params or not isinstance(locked, dict):
            return bool(dep.status())
        try:
            content = self._content(dep)
            for name in dep.params:
                found = content
                for part in name.split("."):
                    if GLOBS & set(part) or not isinstance(found, dict):
                        return bool(dep.status())
                    found = found[part]
                if name not in locked or found != locked[name]:
                    return bool(dep.status())
        except (OSError, KeyError, ValueError):
            return bool(dep.status())
        return False

    def _content(self, dep: "ParamsDependency") -> Any:
        """A parameter file, read by DVC's reader while nobody writes to it."""
        from dvc.utils.serialize import load_path

        path = str(dep.fs_path)
        stat = Path(path).stat()
        stamp = stat.st_mtime_ns, stat.st_size, stat.st_ino
        if self._parameters.get(path, (None,))[0] != stamp:
            self._parameters[path] = stamp, load_path(path, dep.fs)
        return self._parameters[path][1]
