"""The broker made of files: order, one winner, and nothing lost when a worker is killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kombu import Connection

from config import broker


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[], Connection]:
    broker.register_transport()
    options = {"folder": str(tmp_path), "polling_interval": 0.01}
    return lambda: Connection("files://localhost/", transport_options=options)


def send(connection: Connection, count: int) -> None:
    queue = connection.SimpleQueue("train")
    for number in range(count):
        queue.put({"number": number})
    queue.close()


def test_messages_arrive_in_order_and_leave_no_file_once_acknowledged(
    connect: Callable[[], Connection], tmp_path: Path
) -> None:
    with connect() as connection:
        send(connection, 5)
        queue = connection.SimpleQueue("train")
        received = []
        for _ in range(5):
            message = queue.get(timeout=5)
            received.append(message.payload["number"])
            message.ack()
        assert received == [0, 1, 2, 3, 4]
    assert list(tmp_path.rglob("*.msg")) == []


def test_a_rejected_message_comes_back_once(connect: Callable[[], Connection]) -> None:
    with connect() as connection:
        send(connection, 1)
        queue = connection.SimpleQueue("train")
        queue.get(timeout=5).requeue()
        again = queue.get(timeout=5)
        again.ack()
        assert again.payload == {"number": 0}
        assert queue.qsize() == 0


def _take_one_and_hang(folder: str, taken: str) -> None:
    broker.register_transport()
    with Connection("files://localhost/", transport_options={"folder": folder}) as connection:
        connection.SimpleQueue("train").get(timeout=5)
        Path(taken).touch()
        time.sleep(600)


def test_a_message_held_by_a_killed_process_is_delivered_again(
    connect: Callable[[], Connection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "RECOVERY_INTERVAL_SECONDS", 0.05)
    with connect() as connection:
        send(connection, 1)
        taken = tmp_path / "taken"
        process = multiprocessing.get_context("spawn").Process(
            target=_take_one_and_hang, args=(str(tmp_path), str(taken))
        )
        process.start()
        while not taken.exists():
            assert process.is_alive()
            time.sleep(0.02)
        queue = connection.SimpleQueue("train")
        assert queue.qsize() == 0, "a living process keeps what it took"
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        message = queue.get(timeout=5)
        message.ack()
        assert message.payload == {"number": 0}


def test_an_unreadable_message_is_set_aside_and_the_next_is_delivered(
    connect: Callable[[], Connection], tmp_path: Path
) -> None:
    with connect() as connection:
        queue = connection.SimpleQueue("train")
        (tmp_path / "queue" / f"{0:020d}_broken.train.msg").write_text("{half")
        queue.put("whole")
        message = queue.get(timeout=5)
        message.ack()
        assert message.payload == "whole"
    assert [path.name for path in tmp_path.rglob("*.bad")] == [f"{0:020d}_broken.train.msg.bad"]
