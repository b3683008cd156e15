from entrannas.core.spaces import SPACES

DARTS = SPACES["darts"]


def test_edges_are_the_rows_in_order_of_their_node() -> None:
    assert DARTS.edges[:6] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4))
    for node, rows in DARTS.incoming():
        assert DARTS.edges[rows] == tuple((i, node) for i in range(node))
