"""`python -m training.algorithms [METHOD ...]`: the hyperparameters, their defaults and meaning."""

import dataclasses
import sys

from training.algorithms.methods import Method, method_get, method_list


def method_print(method: Method) -> None:
    print(f"{method.name}: {method.title}")
    for field in dataclasses.fields(method.config):
        print(f"  {field.name} = {field.default!r}\n      {field.metadata.get('help', '')}")


if __name__ == "__main__":
    for each in [method_get(name) for name in sys.argv[1:]] or method_list():
        method_print(each)
