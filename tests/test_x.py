def test_x(participant_run, group_run):
    print(participant_run.result.err); print(group_run.result.err)
    assert participant_run.result.code == 0 and group_run.result.code==0
