"""Continuous batching: every step adds one token to all live sequences. New sequences join, and
finished ones leave.
"""

import asyncio

import numpy as np
from model import Cache, sample


class Sequence:
    """One request in the engine."""

    def __init__(self, prompt, most, temperature, seed):
        self.prompt = prompt  # tokens
        self.fed = 0  # how many of them the model has seen
        self.left = most
        self.temperature = temperature
        self.random = np.random.default_rng(seed)  # others do not affect it
        self.out = asyncio.Queue()  # tokens, then None; or the error that stopped the engine
        self.gone = False  # its reader has stopped


class Engine:
    """Belongs to one event loop. ``run`` is its task; ``generate`` may be called often."""

    def __init__(self, model, rows):
        self.model = model
        self.rows = rows
        self.cache = Cache(rows)
        self.live = []  # the sequence of each row of the cache
        self.waiting = []
        self.tokens = []  # what each live sequence is fed next
        self.work = asyncio.Event()
        self.steps = 0

    async def run(self):
        try:
            while True:
                self.drop()
                self.admit()
                if not self.live:
                    self.work.clear()
                    await self.work.wait()
                    continue
                self.step()
                await asyncio.sleep(0)  # tokens are sent, requests and cancels arrive
        except Exception as error:
            for sequence in [*self.live, *self.waiting]:
                sequence.out.put_nowait(error)
            raise

    def drop(self):
        """Remove finished and canceled sequences."""
        for row in reversed(range(len(self.live))):
            if self.live[row].gone:
                self.cache.remove(row)
                self.live[row], self.tokens[row] = self.live[-1], self.tokens[-1]
                self.live.pop()
                self.tokens.pop()
        self.waiting = [sequence for sequence in self.waiting if not sequence.gone]

    def admit(self):
        """Give free rows to waiting sequences."""
        while self.waiting and len(self.live) < self.rows:
            sequence = self.waiting.pop(0)
            self.cache.add()
            self.live.append(sequence)
            self.tokens.append(sequence.prompt[0])

    def step(self):
        """Add one token to every live sequence: of its prompt, or a new one."""
        logits = self.model.step(self.cache, np.array(self.tokens))
        temperatures = np.array([sequence.temperature for sequence in self.live])
        chances = np.zeros(len(self.live))
        for row, sequence in enumerate(self.live):
            sequence.fed += 1
            if sequence.fed >= len(sequence.prompt):
                chances[row] = sequence.random.random()
        drawn = sample(logits, temperatures, chances).tolist()
        for row, sequence in enumerate(self.live):
            if sequence.fed < len(sequence.prompt):
                self.tokens[row] = sequence.prompt[sequence.fed]
                continue
            self.tokens[row] = drawn[row]
            sequence.out.put_nowait(drawn[row])
            sequence.left -= 1
            if sequence.left == 0:
                sequence.gone = True
                sequence.out.put_nowait(None)
        self.steps += 1

    async def generate(self, prompt, most, temperature, seed):
        """Yield new tokens as they come. A caller that stops reading, because it was canceled,
        leaves the batch.
        """
        sequence = Sequence(prompt, most, temperature, seed)
        self.waiting.append(sequence)
        self.work.set()
        try:
            while True:
                token = await sequence.out.get()
                if token is None:
                    return
                if isinstance(token, Exception):
                    raise token
                yield token
        finally:
            sequence.gone = True
