"""What components are built from: no contract, no component, one folder per matter."""
