async def later(gate, text):
    while not os.path.exists(gate):
        await asyncio.sleep(0.005)
    print(text, flush=True)
    open(gate + ".written", "w").close()


class Predictor(cog.BasePredictor):
    async def predict(self, how: str = "", text: str = "", gate: str = "") -> str:
        loop = asyncio.get_running_loop()
        say = lambda: print(text, flush=True)
        if how == "task":
            self.task = asyncio.ensure_future(later(gate, text))
        elif how == "run_in_executor":
            loop.run_in_executor(None, at, gate, say)
        elif how == "to_thread":
            self.task = asyncio.ensure_future(asyncio.to_thread(at, gate, say))
        else:
            leave(how, text, gate)
        if not how:
            for _ in meet(gate):
                await asyncio.sleep(0.005)
        print("my own")
        return "done"
