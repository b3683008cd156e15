from entrannas.architecture.skeletons import cell_channels
from entrannas.architecture.spaces import SPACES

DARTS, NASBENCH = SPACES["darts"], SPACES["nasbench201"]


def test_edges_are_the_rows_in_order_of_their_node() -> None:
    assert DARTS.edges[:6] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4))
    for node, rows in DARTS.incoming():
        assert DARTS.edges[rows] == tuple((i, node) for i in range(node))


def test_reductions_stand_at_thirds_of_the_stack() -> None:
    assert [i for i, kind in enumerate(DARTS.skeleton.cell_kinds(20)) if kind == "reduction"] == [6, 13]
    assert [i for i, kind in enumerate(DARTS.skeleton.cell_kinds(8)) if kind == "reduction"] == [2, 5]
    assert cell_channels(8, 16) == [16, 16, 32, 32, 32, 64, 64, 64]


def test_the_cells_of_nas_bench_201_are_of_one_kind_and_end_in_their_last_node() -> None:
    assert NASBENCH.kinds == ("normal",) and NASBENCH.output == (3,) and NASBENCH.inputs == 1
    assert set(NASBENCH.skeleton.cell_kinds(15)) == {"normal"}
    assert DARTS.output == (2, 3, 4, 5)
