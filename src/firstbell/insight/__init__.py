"""What Firstbell says of itself: the backtest's report and the model card."""
