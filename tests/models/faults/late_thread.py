import asyncio, contextvars, threading, time
from cog import BasePredictor, current_scope

threads = []


class Predictor(BasePredictor):
    def predict(self, late: bool = False) -> str:
        def go_on():
            time.sleep(0.2)
            for i in range(20):
                print("late")
                current_scope().record_metric("late", i)
                time.sleep(0.01)

        if late:
            context = contextvars.copy_context()
            threads.append(threading.Thread(target=context.run, args=[go_on]))
            threads[-1].start()
        else:
            while threads:
                threads.pop().join()
        return "done"
