"""What a person reads about the API: the introduction, a text and examples for each call, and the page."""
