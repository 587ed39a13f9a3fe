"""A list that the function changes while it runs is seen as the loop sees it."""

import pytest

from parmap import pmap


@pytest.mark.parametrize("backend", ["serial", "auto"])
def test_a_list_that_grows_under_the_loop(backend: str) -> None:
    """Items that are appended while the loop runs are run too."""
    items = [3]

    def grow(left: int) -> int:
        if left:
            items.append(left - 1)
        return left

    assert pmap(grow, items, backend=backend) == [3, 2, 1, 0]


@pytest.mark.parametrize("backend", ["serial", "auto"])
def test_an_item_that_fails_after_it_left_its_list(backend: str) -> None:
    """The error comes out, though its item can no longer be shown."""
    items = [1, 2, 3]

    def fail(item: int) -> int:
        items.clear()
        raise KeyError(item)

    with pytest.raises(KeyError) as caught:
        pmap(fail, items, backend=backend)
    assert caught.value.args == (1,)
