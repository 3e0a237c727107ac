import os, sys
import cog


class Predictor(cog.BasePredictor):
    def predict(self, secret: str = "") -> str:
        if secret:
            sys.stdout.write(secret)
            os.close(1)
            os.close(2)
            try:
                print(secret, file=sys.stderr)
            except OSError:
                pass
        print("mine")
        return ""
