class BaseInferenceToolkitError(Exception):
    """As in aws/sagemaker-inference-toolkit."""

    def __init__(self, status_code, message, phrase):
        self.status_code, self.message, self.phrase = status_code, message, phrase
        super().__init__(status_code, message, phrase)
