"""nbgrader's door to the engine: what nbgrader_config.py hands to nbgrader's own commands."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import nbgrader.converters.base
import nbgrader.utils
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import IgnorePattern, LimitOutput
from sqlalchemy.exc import SAWarning

from grader.checks import AuthorError
from grader.course import Course, CourseError, load_course, without_password
from grader.feedback import make_safe
from grader.gradebook import find_alembic, find_driver, point_at
from grader.intake import plain_files
from grader.nbgrader_intake import CollectDownloads, CollectPlainFiles, ExtractPlainFiles
from grader.nbgrader_steps import (
    GradeSubmission,
    ReadAnything,
    RestoreCells,
    SaveScores,
    before_autograde,
)
from grader.outputs import safe_text


def configure(config: Any, folder: str | Path) -> None:
    """Give nbgrader everything that course.yaml in `folder` says. Called by nbgrader_config.py."""
    try:
        course = load_course(folder)
        find_driver(course)
    except (CourseError, AuthorError) as error:
        if logging.getLogRecordFactory() is PlainRecord:
            # The form grader reads this again before all that it does. It goes on with what was right, and an exit
            # would end everything else that JupyterLab does there.
            raise
        # nbgrader would log an exception, and go on without the course, with a gradebook of its own.
        sys.exit(f"grader: {error}")
    find_alembic()
    point_at(config, course)
    # nbgrader 0.9 reads relations of objects that it has not added yet; SQLAlchemy 2 says so, many times each.
    warnings.filterwarnings("ignore", category=SAWarning, module="nbgrader.api")
    if course.folders.exchange:
        config.Exchange.root = str(course.root / course.folders.exchange)
    config.FileNameCollectorPlugin.named_regexp = course.collect_regexp
    config.ZipCollectApp.extractor_plugin = ExtractPlainFiles
    config.ZipCollectApp.collector_plugin = CollectDownloads
    config.ExchangeFactory.collect = CollectPlainFiles
    config.CollectDownloads.timezone = course.timezone
    config.Autograde.exporter_class = ReadAnything
    # nbgrader's own list has steps that look at each cell's metadata. Those are from RestoreCells, and right.
    config.Autograde.sanitize_preprocessors = [RestoreCells]
    config.Autograde.autograde_preprocessors = [
        GradeSubmission,
        IgnorePattern,
        ClearMetadataPreprocessor,
        LimitOutput,
        SaveScores,
    ]
    config.Autograde.pre_convert_hook = before_autograde
    # `grader autograde` makes the pages too: one from before a person graded must not stay.
    config.GenerateFeedback.force = True
    make_safe(config)
    _copy_plain_files_only(course)
    logging.setLogRecordFactory(PlainRecord)


def _copy_plain_files_only(course: Course) -> None:
    """Keep nbgrader from following the links in a submission: it would copy your files into what students get back."""
    submitted = course.folder("submitted")
    found_by_nbgrader = nbgrader.utils.find_all_files

    def found(path: str, exclude: list[str] | None = None) -> list[str]:
        files: list[str] = found_by_nbgrader(path, exclude)
        folder = course.root / path
        if not folder.is_relative_to(submitted):
            return files
        plain = set(plain_files(folder)[0])
        return [file for file in files if course.root / file in plain]

    nbgrader.converters.base.find_all_files = found


class PlainRecord(logging.LogRecord):
    """nbgrader writes the names of students and files into its log as they are: a terminal must not obey them.

    And the gradebook's URL, with the password that may stand in it.
    """

    def getMessage(self) -> str:
        return re.sub(r"\S+//\S+", lambda url: without_password(url[0]), safe_text(super().getMessage()))
