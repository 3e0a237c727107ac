import argparse, sys
from cog import BasePredictor


def parsed():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=4)
    return parser.parse_args().size


AT_IMPORT = parsed()


class Predictor(BasePredictor):
    def setup(self):
        self.size = parsed()

    async def predict(self) -> list:
        return [AT_IMPORT, self.size, parsed(), len(sys.argv), sys.argv[0] == __file__]

    def healthcheck(self):
        return parsed() == 4
