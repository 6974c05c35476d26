"""Who is wrong, where, and by how much: comparing with the float64 truth, splitting the error, naming the culprit."""
