"""MQTT, as its source and its sink need it: a client that has connected, or says why not."""
