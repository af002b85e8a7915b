"""The Dockerfile language: text to data, without privilege, file system or network."""
