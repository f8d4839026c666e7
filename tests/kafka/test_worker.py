"""The scenarios of tests/worker, which run on the embedded broker there, on Apache Kafka."""

from __future__ import annotations

import pytest

from tests.worker.test_worker import *  # noqa: F403 - the tests are collected here again, with this folder's broker

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("_dead_letter_topic")]
