"""The stage: the files of the page at `/` under `ringpost up`. `api.stage` serves them; nothing is built."""
