"""Storage of the functions and of the client: items in DynamoDB, queue, topic, delivery stream, rules object."""
