"""Loudness of a WAV file, and the file once more at half volume."""

import io
import struct
import tempfile
import wave
from typing import Any

from cog import BaseModel, BasePredictor, Path


class Output(BaseModel):
    peak: int
    seconds: float
    audio: Path


class Predictor(BasePredictor):
    def predict(self, audio: Path, gain: float = 0.5) -> Output:
        with wave.open(io.BytesIO(audio.read_bytes())) as source:
            frames: Any = source.readframes(source.getnframes())
            rate = source.getframerate()
        samples = struct.unpack(f"<{len(frames) // 2}h", frames)
        path = Path(tempfile.mkdtemp()) / "out.wav"
        with wave.open(str(path), "wb") as sink:
            sink.setnchannels(1)
            sink.setsampwidth(2)
            sink.setframerate(rate)
            sink.writeframes(struct.pack(f"<{len(samples)}h", *(int(s * gain) for s in samples)))
        return Output(peak=max(map(abs, samples)), seconds=len(samples) / rate, audio=path)
