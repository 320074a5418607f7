"""What `pds dashboard detect.yaml` shows, for `streamlit run dashboard.py`."""

from pathlib import Path

from pydatastream.dashboard.page import show

show(Path(__file__).with_name("detect.yaml"))
