"""nbgrader's ways in, made safe: unpacking downloads, collecting from the exchange, reading file names."""

from __future__ import annotations

import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from nbgrader.exchange.default import ExchangeCollect
from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin
from traitlets import Unicode

from grader.intake import collect, student_fault, take


class ExtractPlainFiles(ExtractorPlugin):
    """Unpacks downloads, whatever they hold: nbgrader's own would follow links and fill the disk."""

    def extract(self, archive_path: str, extracted_path: str) -> None:
        for folder, _, names in os.walk(archive_path):
            for name in sorted(names):
                self.log.info("Taking in %s", name)
                for told in collect(Path(folder) / name, Path(extracted_path) / Path(folder).relative_to(archive_path)):
                    self.log.warning(told)


class CollectPlainFiles(ExchangeCollect):
    """Collects from the exchange, where students own their folders and can put anything into them."""

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / Path(dest).name
            copy.mkdir()
            for told in take(Path(src), copy):
                self.log.warning("%s: %s", Path(src).name, told)
            super().do_copy(str(copy), dest, log)


class CollectDownloads(FileNameCollectorPlugin):
    """Reads the times in the names of downloaded files as the course's local time, which Blackboard writes there.

    nbgrader would take 2027-03-26-22-15-00 for ten in the evening, UTC.
    """

    timezone = Unicode("UTC", help="Timezone of the times in file names.").tag(config=True)

    def collect(self, submitted_file: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = super().collect(submitted_file)
        if found and (fault := student_fault(found["student_id"])):
            self.log.warning(fault)
            return None
        stamp = found.get("timestamp") if found else None
        if found and stamp and re.fullmatch(r"\d{4}(-\d\d){5}", stamp):
            moment = datetime.strptime(stamp, "%Y-%m-%d-%H-%M-%S").replace(tzinfo=ZoneInfo(self.timezone))
            found["timestamp"] = moment.astimezone(UTC).isoformat()
        return found
