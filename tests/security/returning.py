"""Attacks by what an answer returns. Each is the answer to `softmax`, and worth nothing."""

from attack import Attack


def returns(name: str, what: str, expression: str, before: str = "", earns: float = 40) -> Attack:
    return Attack(
        f"returns {name}",
        what,
        (before,) if before else (),
        {"softmax": f"def softmax(z):\n    return {expression}"},
        earns=earns,
    )


EVIL = """
class Evil:
    def __array__(self, *_, **__): os._exit(0)
    def __eq__(self, other): return True
    def __reduce__(self): return os.system, ('touch /tmp/' + MARK,)
    def __iter__(self): return iter(int, 1)
    def __len__(self): return 2**62
    def __float__(self): os._exit(0)
    def __hash__(self): return 0
    def __repr__(self): os._exit(0)
    def __getattr__(self, name): return self
"""

ATTACKS = [
    returns("an object that is equal to all", "Every method of it is hostile.", "Evil()", EVIL),
    returns("an array of objects", "Which pickle would carry, and call.", "np.array([Evil()], dtype=object)", EVIL),
    returns("a pickle", "As bytes, and in a list.", "[__import__('pickle').dumps(Evil()), b'cos\\nsystem\\n.']", EVIL),
    returns(
        "an array that is no array",
        "A subclass that lies about itself.",
        "np.zeros((1, 3)).view(Lie)",
        """
        import numpy as np
        class Lie(np.ndarray):
            def __eq__(self, other): return True
            def __array_ufunc__(self, *_, **__): return True
            def __array_function__(self, *_, **__): return True
            shape = property(lambda self: 1 / 0)
            tobytes = lambda self: b''
        """,
    ),
    returns(
        "a tensor that is no tensor",
        "Its __torch_function__ answers for every operation.",
        "z.as_subclass(Lie)",
        """
        import torch
        class Lie(torch.Tensor):
            @classmethod
            def __torch_function__(cls, function, types, args=(), kwargs=None):
                return True
        """,
    ),
    returns(
        "a tensor that is no tensor's subclass",
        "Its __torch_dispatch__ answers.",
        "Lie(z)",
        """
        import torch
        class Lie(torch.Tensor):
            @staticmethod
            def __new__(cls, z): return torch.Tensor._make_wrapper_subclass(cls, z.shape)
            @classmethod
            def __torch_dispatch__(cls, *_): return True
        """,
    ),
    returns(
        "what claims another class",
        "isinstance believes __class__.",
        "Lie()",
        """
        import torch
        class Lie:
            __class__ = torch.Tensor
            layout = torch.strided
            def __getattr__(self, name): return self
            def __call__(self, *_): return self
        """,
    ),
    returns("a tensor without data", "On the device `meta`.", "torch.zeros(4, 3, device='meta')"),
    returns(
        "a sparse tensor", "With a size of billions.", "torch.sparse_coo_tensor([[0], [0]], [1.0], (10**9, 10**9))"
    ),
    returns("a quantized tensor", "Of another layout.", "torch.quantize_per_tensor(z, 0.1, 0, torch.qint8)"),
    returns("a nested tensor", "Of ragged rows.", "torch.nested.nested_tensor([z[0], z[0, :1]])"),
    returns("a tensor of a terabyte", "One number, expanded.", "z[0, 0].expand(10**6, 10**6)"),
    returns(
        "an array of strange strides",
        "It overlaps itself, and runs backwards.",
        "np.lib.stride_tricks.as_strided(np.zeros(9), (2**40,), (0,))[::-1]",
    ),
    returns(
        "an array beyond its memory",
        "Of addresses that are not its own.",
        "np.ctypeslib.as_array(ctypes.cast(8, ctypes.POINTER(ctypes.c_double)), (1, 3))",
    ),
    returns(
        "a list that holds itself",
        "For ever.",
        "loop",
        """
        loop = []
        loop.append(loop)
        """,
    ),
    returns(
        "a dict that holds itself",
        "Under a thousand names.",
        "loop",
        """
        loop = {}
        loop.update({i: loop for i in range(1000)})
        """,
    ),
    returns("a dict of a million", "Items.", "dict.fromkeys(range(10**6), z)"),
    returns(
        "a deep list",
        "A hundred thousand levels.",
        "deep",
        """
        deep = []
        for _ in range(10**5):
            deep = [deep]
        """,
    ),
    returns(
        "a list that grows",
        "While it is read.",
        "Grows()",
        """
        class Grows(list):
            def __iter__(self):
                while True:
                    yield self
            __len__ = lambda self: 3
        """,
    ),
    returns(
        "a dict that lies",
        "About its keys, items and length.",
        "Lies(a=1)",
        """
        class Lies(dict):
            items = keys = values = __iter__ = lambda self: iter(lambda: (0, 0), 1)
            __len__ = lambda self: -1
        """,
    ),
    returns(
        "a string that lies",
        "About its letters.",
        "Lies('x')",
        """
        class Lies(str):
            encode = __str__ = __repr__ = __len__ = __format__ = __eq__ = lambda *_: os._exit(0)
            __hash__ = str.__hash__
        """,
    ),
    returns(
        "keys that lie",
        "About their hash.",
        "{Lies('a'): 1, Evil(): 2}",
        EVIL + "\nclass Lies(str):\n    __hash__ = lambda self: 0\n    __eq__ = lambda *_: False",
    ),
    returns(
        "a number that lies",
        "About its value.",
        "[Lies(1), Float(1)]",
        """
        class Lies(int):
            __int__ = __index__ = __trunc__ = lambda self: os._exit(0)
        class Float(float):
            __float__ = lambda self: os._exit(0)
        """,
    ),
    returns("a number of a million digits", "Which takes long to print.", "1 << 10**7"),
    returns(
        "text that is no text",
        "Half a character, terminal commands, markup.",
        "'\\ud800\\x1b[2J<script>alert(1)</script>'",
    ),
    returns(
        "markup as its type's name",
        "Which stands in the report.",
        "type('<script>alert(1)</script>\\x1b[2J' * 99, (), {})()",
    ),
    returns("not a number", "NaN is equal to nothing, and inf is larger than all.", "z * float('nan')"),
    returns("infinities", "Everywhere.", "z * 0 + float('inf')"),
    returns("a generator without end", "Of answers.", "iter(int, 1)"),
    returns("a module", "And everything in it.", "sys"),
    returns(
        "the check's own objects", "Taken from the frames above.", "[sys._getframe(n).f_locals for n in range(1, 9)]"
    ),
    returns("what it was given", "As it is.", "z"),
    returns("nothing", "At all.", "None"),
    returns(
        "another answer each time",
        "One of them might be right.",
        "z + next(count)",
        """
        import itertools
        count = itertools.count()
        """,
    ),
    returns("far more than was asked for", "Fifty megabytes.", "[np.zeros(3_000_000), np.zeros(3_000_000)]"),
]
