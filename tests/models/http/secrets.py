import os, time
from typing import Iterator, List, Optional
from cog import BasePredictor, Input, Secret, streaming


class Predictor(BasePredictor):
    @streaming
    def predict(
        self,
        token: Secret = Input(description="of the user"),
        other: Optional[Secret] = None,
        fallback: Secret = Secret("built in"),
        end: str = "",
    ) -> Iterator[str]:
        print("token is", token, repr(token), f"{token}")
        yield str(len(token.get_secret_value()))
        if end == "raise":
            raise ValueError(f"bad token {token}")
        if end == "hang":
            time.sleep(60)
        if end == "die":
            os._exit(9)
        yield str(token)
