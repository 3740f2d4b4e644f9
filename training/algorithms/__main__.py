"""`python -m training.algorithms [METHOD ...]`: the hyperparameters, their defaults and meaning."""

import dataclasses
import sys

from training.algorithms.configs import option_help
from training.algorithms.methods import Method, method_get, method_list


def method_print(method: Method) -> None:
    print(f"{method.name}: {method.title}")
    defaults = {field.name: field.default for field in dataclasses.fields(method.config)}
    for name, help_text in option_help(method.config).items():
        print(f"  {name} = {defaults[name]!r}\n      {help_text}")


if __name__ == "__main__":
    for each in [method_get(name) for name in sys.argv[1:]] or method_list():
        method_print(each)
