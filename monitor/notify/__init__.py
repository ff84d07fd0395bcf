"""Messages, their wording and their delivery. Importing the package loads no HTTP library: `slack` is imported when used."""
