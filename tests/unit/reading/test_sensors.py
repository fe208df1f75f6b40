"""Sensors that are listed at length."""

from clusterwatch.reading.sensors import Sensor, sensor_line

LISTED = """\
Sensor ID              : PS1 Status (0xc8)
 Entity ID             : 10.1 (Power Supply)
 Sensor Type (Discrete): Power Supply (0x08)
 States Asserted       : Power Supply
                         [Presence detected]
                         [Failure detected]
 Assertions Enabled    : Power Supply
                         [Power Supply AC lost]
""".splitlines()


def told(lines: list[str]) -> list[str]:
    sensor, texts = Sensor(), []
    for line in lines:
        sensor, text = sensor_line(sensor, line)
        texts.append(text)
    return texts


def test_state_that_is_asserted_becomes_a_row_that_names_its_sensor():
    assert told(LISTED)[4:6] == [
        "Power Supply PS1 Status | Presence detected | Asserted",
        "Power Supply PS1 Status | Failure detected | Asserted",
    ]


def test_state_that_could_be_reported_stays_what_it_is():
    assert told(LISTED)[7] == LISTED[7]


def test_line_in_brackets_without_a_sensor_stays_what_it_is():
    line = "                         [Failure detected]"

    assert told([line]) == [line]
