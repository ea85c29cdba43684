"""What several tests of the neural engines need."""
