from cog import BasePredictor


def timed(f):
    def wrapper(*args, **kwargs):
        return "timed " + f(*args, **kwargs)

    return wrapper


def times(n):
    def decorate(f):
        def again(self, *args, **kwargs):
            return " ".join(f(self, *args, **kwargs) for _ in range(n))

        return again

    return decorate


class Predictor(BasePredictor):
    @timed
    @times(2)
    def predict(self, s: str, loud: bool = 0) -> str:
        return s.upper() if loud else s
