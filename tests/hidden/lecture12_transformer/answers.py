"""The language that Seq2SeqTask has to learn: no student's process holds its key, nor the translations of the new words.

Its seed is fixed: the translations that `share_of_right_words` knows must be those of the words that were given.
"""

import numpy as np

VOCABULARY, FIRST_LETTER, LONGEST = 29, 3, 7
LEARNED = 5000  # so many words are given with their translations; the others are the new ones

_rng = np.random.default_rng(18510429)
_KEY = FIRST_LETTER + _rng.permutation(VOCABULARY - FIRST_LETTER)
_WORDS = [_rng.integers(FIRST_LETTER, VOCABULARY, size=_rng.integers(1, LONGEST + 1)).tolist() for _ in range(5500)]
_TRANSLATIONS = [_KEY[np.array(word[::-1]) - FIRST_LETTER].tolist() for word in _WORDS]


def new_language(rng):
    """Words to learn from, their translations, and new words. Words are spoken backwards, each letter is replaced."""
    return _WORDS[:LEARNED], _TRANSLATIONS[:LEARNED], _WORDS[LEARNED:]


def share_of_right_words(predictions):
    """Of the new words, the share that is translated without a mistake."""
    truth = _TRANSLATIONS[LEARNED:]
    if len(predictions) != len(truth):
        return 0.0
    return sum(list(said) == word for said, word in zip(predictions, truth, strict=True)) / len(truth)
