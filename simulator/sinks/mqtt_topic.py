"""Topics of MQTT, as AWS IoT Core limits them."""

#: https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits
MAX_TOPIC_BYTES = 256


def is_valid_topic(topic: str) -> bool:
    """Return whether a client can publish to the topic."""
    return bool(topic) and len(topic.encode()) <= MAX_TOPIC_BYTES and not any(each in topic for each in "+#\0")
