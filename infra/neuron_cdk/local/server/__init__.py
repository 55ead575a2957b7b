"""What runs inside the embedded AWS's own environment: ministack, and the services and CloudFormation types it lacks.

Only the standard library, ministack, botocore and boto3 may be imported here.
"""
