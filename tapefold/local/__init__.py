"""The services of a laptop, Kafka and the store, in a state folder: no Docker, no installed Java."""
