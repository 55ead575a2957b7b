"""SageMaker: processing jobs that run and endpoints that serve, as processes of this machine."""
