"""The engines that run chunks, each imported when it is first used."""
