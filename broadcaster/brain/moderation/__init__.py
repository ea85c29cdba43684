"""What may be said, and what may be answered: word lists, contacts, injection, an endpoint. Director's event loop."""
