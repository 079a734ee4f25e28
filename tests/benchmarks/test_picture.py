"""The picture shows each measure once, to scale, and says in words what its colours say."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from benchmarks.bars import panels
from benchmarks.picture import draw

from tests.benchmarks.figures import ALL, FACTS, LOST, NODE

SVG = "{http://www.w3.org/2000/svg}"


def test_shares_of_others_and_of_limits_are_apart() -> None:
    shares, limits = panels(ALL)
    assert [(g.heading, g.remark) for g in shares.groups] == [
        ("16 workers on a node", "beside dask worker"),
        ("Command line", "beside dask"),
    ]
    assert [(g.heading, g.remark) for g in limits.groups] == [
        ("Lost job", ""),
        ("Command line", "in units of python"),
    ]


def test_a_bar_is_as_long_as_its_share() -> None:
    shares, limits = panels(ALL)
    wall, cpu = shares.groups[0].bars
    assert (wall.length, wall.least, wall.goal, wall.met) == (0.2, 0.1, 0.2, True)
    assert (wall.label, wall.said, wall.detail) == ("wall time", "0.200  goal 0.2", "0.8 : 4 s")
    assert cpu.said == "0.200  goal 0.12  not met"
    (lost,) = limits.groups[0].bars
    assert (lost.length, lost.goal, lost.said, lost.detail) == (1.0, 1.0, "1 s", "at most 1 s")
    (start,) = limits.groups[1].bars
    assert (start.length, start.goal) == (5 / 6, 1.0)


def test_without_limits_there_is_one_panel() -> None:
    assert len(panels([NODE])) == 1
    assert len(panels([LOST])) == 1
    assert panels([]) == ()


def drawn(*names: str) -> ET.Element:
    runs = [replace(one, name=name) for one, name in zip(ALL, names, strict=False)]
    return ET.fromstring(draw(FACTS, runs))


def test_the_picture_is_xml_whatever_the_names_hold() -> None:
    picture = drawn('<b> & "16"')
    said = ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]
    assert any(line.startswith('<b> & "16"') for line in said)
    assert any("Slow & Steady 3000" in line for line in said)


def test_lengths_and_marks_are_to_scale_and_inside() -> None:
    picture = drawn("node", "lost", "help")
    width, height = (float(picture.attrib[name]) for name in ("width", "height"))
    bars = [rect for rect in picture.iter(f"{SVG}rect") if rect.attrib.get("height") == "14"]
    lengths = [float(bar.attrib["width"]) for bar in bars]
    wall, cpu, help_of_dask, lost, help_of_python = lengths
    assert wall == cpu == lost * 0.2
    assert abs(help_of_python - lost * 5 / 6) < 0.1
    assert help_of_dask == wall
    assert all(float(bar.attrib["y"]) + 14 < height for bar in bars)
    assert all(
        float(bar.attrib["x"]) + length < width for bar, length in zip(bars, lengths, strict=True)
    )


def test_a_bar_far_over_its_goal_stays_in_the_picture() -> None:
    slow = replace(LOST, values={"ours": {"after scancel s": [90.0]}})
    picture = ET.fromstring(draw(FACTS, [slow]))
    bars = [rect for rect in picture.iter(f"{SVG}rect") if rect.attrib.get("height") == "14"]
    assert float(bars[0].attrib["x"]) + float(bars[0].attrib["width"]) < 640
    assert "90 s  not met" in ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]
