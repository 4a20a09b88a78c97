"""The one part of the build that pyproject.toml cannot say: the compiled kernel is optional.

With no C compiler, installation goes on and the pure-Python reference runs instead
(`standpipe version` says which).
"""

from setuptools import Extension, setup

setup(
    ext_modules=[Extension("envelope._compiled", ["envelope/_compiled.pyx"], optional=True, extra_compile_args=["-O3"])]
)
