from weights_of_somebody_else import load


def predict() -> str:
    return str(load())
