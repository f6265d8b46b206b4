"""The folders that an agent's campaigns come from: nothing that it names leads out of them."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

from campaigns.errors import Place
from campaigns.loading import load_campaign, message_campaign
from campaigns.model import STANDARD_INPUT, Campaign, MediaMessage
from campaigns.model.fields import shown
from sender.errors import InputError

SUFFIXES = (".yaml", ".yml")
MOST_LISTED = 100


class _NoVariables(Mapping[str, str]):
    """The environment as an agent's campaign sees it: a file that it may have written can take nothing from it."""

    def __getitem__(self, name: str) -> str:
        raise ValueError(f"${{{name}}} is not taken over MCP; accepted is the text itself")

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True)
class Roots:
    """Folders, links resolved."""

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, folders: Iterable[Path]) -> Self:
        """These folders. Raises InputError for one that is none."""
        found = []
        for folder in folders:
            if not folder.is_dir():
                raise InputError(f"--root: {folder} is not a folder")
            found.append(folder.resolve())
        return cls(tuple(dict.fromkeys(found)))

    def load(self, name: str) -> Campaign:
        """The campaign in that file. Raises CampaignFileError, and InputError when it, or what it names, is outside."""
        campaign = load_campaign(self._file(name), _NoVariables())
        self._check(campaign)
        return campaign

    def message(self, message: Mapping[str, object]) -> Campaign:
        """A message by itself; its file, if it has one, is relative to the first folder. Raises as `load` does."""
        campaign = message_campaign(message, self.folders[0])
        self._check_media(campaign)
        return campaign

    def listing(self) -> list[Path]:
        """The campaign files, the first hundred of them."""
        found: list[Path] = []
        for folder in self.folders:
            for parent, folders, files in os.walk(folder):
                # A name with bytes that are no text can't be told in JSON.
                folders[:] = sorted(name for name in folders if name.isprintable() and not name.startswith("."))
                names = sorted(name for name in files if name.isprintable() and name.endswith(SUFFIXES))
                found += (Path(parent, name) for name in names)
                if len(found) >= MOST_LISTED:
                    return found[:MOST_LISTED]
        return found

    def _file(self, name: str) -> Path:
        if not name.strip() or "\0" in name:
            raise InputError(f"found {shown(name)}; accepted is the path of a campaign file")
        inside = [path for folder in self.folders if self._holds(path := self._real(str(folder / name)))]
        if not inside:
            self._refuse(name)
        found = next(filter(_exists, inside), None)
        if found is None:
            known = ", ".join(str(path) for path in self.listing()[:10]) or "none"
            raise InputError(f"there is no file {name}; campaign files here: {known}")
        _check_regular(found, name)
        return found

    def _check(self, campaign: Campaign) -> None:
        for section, paths in (("csv", campaign.audience.csv), ("exclude", campaign.audience.exclude)):
            for index, path in enumerate(paths):
                place = campaign.place("audience", section, index)
                if path == STANDARD_INPUT:
                    raise InputError("standard input can't be read over MCP; accepted are files", place=place)
                self._check_path(path, place)
        self._check_media(campaign)

    def _check_media(self, campaign: Campaign) -> None:
        message = campaign.message
        if isinstance(message, MediaMessage) and not message.is_url:
            place = campaign.place("message", message.type) if campaign.places else None
            self._check_path(message.source, place)

    def _check_path(self, path: str, place: Place | None) -> None:
        real = self._real(path)
        if not self._holds(real):
            self._refuse(path, place)
        if _exists(real):
            _check_regular(real, path, place)

    def _real(self, path: str) -> Path:
        try:
            return Path(os.path.realpath(path))
        except (OSError, ValueError) as error:
            raise InputError(f"{shown(path)} is no path that can be followed") from error

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self.folders)

    def _refuse(self, path: str, place: Place | None = None) -> NoReturn:
        folders = ", ".join(map(str, self.folders))
        raise InputError(
            f"{path} leads outside the folders that this server was given ({folders}); accepted are files in them",
            place=place,
        )


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 – a name that is too long exists not, and is no error


def _check_regular(path: Path, name: str, place: Place | None = None) -> None:
    # Reading a named pipe or a device might never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{name} is not a file that can be read; accepted is a regular file", place=place)
