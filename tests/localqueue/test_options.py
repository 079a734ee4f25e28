"""What can be asked, and how it is refused."""

from __future__ import annotations

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.localqueue.model import Task
from dask_hpc.localqueue.options import (
    Request,
    expand,
    read_directives,
    read_request,
    read_words,
)


def test_options_may_stand_in_one_word_or_in_two() -> None:
    words = ["--cores=2", "--memory", "4 GB", "--comment=a = b"]
    assert read_words(words) == {"cores": "2", "memory": "4 GB", "comment": "a = b"}


def test_directives_are_read_up_to_the_first_command() -> None:
    script = "#!/bin/sh\n#LOCAL --cores=2\n# a comment\n\n#LOCAL --name x\ntrue\n#LOCAL --gpus=1\n"
    assert read_directives(script) == {"cores": "2", "name": "x"}


def test_the_value_of_a_directive_is_the_rest_of_its_line() -> None:
    script = '#!/bin/sh\n#LOCAL --output=/a b/it\'s "here" $HOME #%j=\x85.log\n'
    assert read_directives(script) == {"output": '/a b/it\'s "here" $HOME #%j=\x85.log'}


def test_a_request_has_every_default_and_every_unit() -> None:
    assert read_request({}) == Request()
    options = {"memory": "2 GiB", "walltime": "1h30m", "queue": "local", "nodes": "1", "gpus": "0"}
    assert read_request(options) == Request(memory=2**31, walltime=5400)


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("--coers=2", "option '--coers' is unknown", "did you mean --cores?"),
        ("cores=2", "option 'cores' is unknown", "did you mean --cores?"),
        ("--", "option '--' is unknown", "known are: --name, --count"),
        ("--cores", "option --cores has no value", "as in --cores=VALUE"),
        ("--cores=two", "cores 'two' is not a whole number from 1 on", "as in 4"),
        ("--cores=-1", "cores '-1' is not a whole number", ""),
        ("--cores=0", "cores '0' is not a whole number", ""),
        ("--cores=٣", "cores '٣' is not a whole number", ""),
        ("--cores=" + "9" * 5000, "is not a whole number", ""),
        ("--memory=4 XB", "memory '4 XB' is not an amount", "GiB"),
        ("--memory=" + "9" * 400, "is too long for a number", ""),
        ("--memory=9999999999999 TB", "is more than any machine has", ""),
        ("--walltime=soon", "walltime 'soon' is not a duration", "2h"),
        ("--walltime=0", "walltime '0' is not positive", ""),
        ("--count=10001", "10001 jobs in one array are too many", "submit 10000 at a time"),
        ("--queue=gpu", 'queue "gpu" is unknown to the local queue', "you may use: local"),
        ("--nodes=2", "2 nodes were asked for, the local queue is one", "ask for 1"),
        ("--gpus=1", "gpus '1' were asked for, the local queue hands out none", "leave gpus out"),
        ("--name=", "name is empty", "as in analysis-1"),
        ("--name=a\nb", "name 'a\\nb' is not one short line", "line breaks"),
        ("--output=/x/%z", "output '/x/%z' is not a path", "%% a percent sign"),
        ("--output=/x/%", "output '/x/%' is not a path", "%% a percent sign"),
    ],
)
def test_what_cannot_be_is_refused_with_the_value_and_a_hint(
    word: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_request(read_words([word]))
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_directive_that_is_unknown_is_refused() -> None:
    with pytest.raises(ConfigError, match="option '--foo' is unknown"):
        read_directives("#!/bin/sh\n#LOCAL --foo\n")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("%j.log", "12_3.log"), ("%%a/%a%a", "%a/33"), ("100%%", "100%"), ("plain", "plain")],
)
def test_patterns_become_the_paths_of_a_task(pattern: str, path: str) -> None:
    task = Task(
        submission=12, index=3, count=9, tag="t", cores=1, memory=0, walltime=None, submitted=0
    )
    assert expand(pattern, task) == path
