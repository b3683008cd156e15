from entrannas.core.skeletons import DARTS, NASBENCH201, cell_channels


def test_reductions_stand_at_thirds_of_the_stack() -> None:
    assert [i for i, kind in enumerate(DARTS.cell_kinds(20)) if kind == "reduction"] == [6, 13]
    assert [i for i, kind in enumerate(DARTS.cell_kinds(8)) if kind == "reduction"] == [2, 5]
    assert cell_channels(8, 16) == [16, 16, 32, 32, 32, 64, 64, 64]


def test_the_cells_of_nas_bench_201_are_of_one_kind_and_end_in_their_last_node() -> None:
    assert NASBENCH201.kinds == ("normal",) and NASBENCH201.output(3) == (3,) and NASBENCH201.inputs == 1
    assert set(NASBENCH201.cell_kinds(15)) == {"normal"}
    assert DARTS.output(4) == (2, 3, 4, 5)
